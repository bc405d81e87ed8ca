// An Express app as its tutorial has it, on port 3000 unless PORT is set.
const express = require('express');

const app = express();
const port = process.env.PORT || 3000;

app.use(express.json());
app.get('/', (req, res) => res.send(`${process.pid}`));
app.get('/users/:id', (req, res) => res.json({ id: req.params.id, query: req.query }));
app.post('/users', (req, res) => res.status(201).json({ created: req.body.name }));

app.listen(port, () => {
    console.log(`Example app listening on port ${port}`);
});
