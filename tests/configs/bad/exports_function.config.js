// expect: TypeError: it exports a function
module.exports = () => ({ apps: [] });
