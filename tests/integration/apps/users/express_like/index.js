// As much of Express's interface as express_app.js uses, where Express itself is not installed.
const http = require('http');

function express() {
    const routes = [];
    const app = (req, res) => {
        const url = new URL(req.url, 'http://localhost');
        res.status = (code) => Object.assign(res, { statusCode: code });
        res.send = (text) => res.end(text);
        res.json = (value) => {
            res.setHeader('Content-Type', 'application/json');
            res.end(JSON.stringify(value));
        };
        req.query = Object.fromEntries(url.searchParams);
        for (const { method, pattern, handler } of routes) {
            const found = req.method === method && pattern.exec(url.pathname);
            if (found) {
                req.params = found.groups || {};
                return handler(req, res);
            }
        }
        res.status(404).send('Not Found');
    };
    const add = (method) => (path, handler) =>
        routes.push({ method, pattern: new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`), handler });
    app.get = add('GET');
    app.post = add('POST');
    app.use = () => {};
    app.listen = (port, done) =>
        http.createServer((req, res) => {
            let body = '';
            req.on('data', (part) => (body += part));
            req.on('end', () => {
                req.body = body ? JSON.parse(body) : {};
                app(req, res);
            });
        }).listen(port, done);
    return app;
}

express.json = () => {};
module.exports = express;
