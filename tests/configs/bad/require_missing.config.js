// expect: 2:18: Error: Cannot find module './settings-that-are-not-there'
module.exports = require("./settings-that-are-not-there");
