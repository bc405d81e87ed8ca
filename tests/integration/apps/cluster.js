// A server as users write it: knows nothing of pm. What is in the file "mode" makes it a bad version.
const fs = require('fs');
const http = require('http');
const path = require('path');

const mode = fs.readFileSync(path.join(__dirname, 'mode'), 'utf8').trim();
const version = fs.readFileSync(path.join(__dirname, 'version'), 'utf8').trim();
const port = mode === 'port' ? process.env.OTHER_PORT : process.env.PORT;

if (mode === 'throw')
    throw new Error('cannot find the new library');
if (mode === 'silent') {
    setInterval(() => {}, 1000);
} else {
    const server = http.createServer((req, res) => {
        res.setHeader('Content-Type', 'text/plain');
        res.end(`${process.pid} ${version}\n`);
    });
    server.listen(process.env.SOCKET || Number(port), () => {
        if (mode !== 'unready' && process.send)
            process.send('ready');
    });
}
