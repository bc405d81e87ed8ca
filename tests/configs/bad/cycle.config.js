// expect: TypeError: Converting circular structure to JSON
const app = { name: "a" };
app.self = app;
module.exports = { apps: [app] };
