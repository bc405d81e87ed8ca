// A server as small as can be: what is measured is how its connections come to it.
require('http').createServer((request, response) => response.end('hello')).listen(Number(process.env.PORT), '127.0.0.1');
