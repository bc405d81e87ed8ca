// expect: JSON: nested too deep
let value = {};
for (let i = 0; i < 40; i++) value = { value };
module.exports = { apps: [], x: value };
