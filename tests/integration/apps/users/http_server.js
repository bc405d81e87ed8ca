const http = require('http');

http.createServer((req, res) => {
    if (req.url === '/slow')
        setTimeout(() => res.end(`${process.pid}\n`), 300);
    else
        res.end(`${process.pid}\n`);
}).listen(process.env.PORT || 3000);
