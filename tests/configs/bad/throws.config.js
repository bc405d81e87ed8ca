// expect: 3:20: TypeError: Cannot read properties of undefined (reading 'PORT')
const settings = undefined;
const p = settings.PORT;
module.exports = { apps: [] };
