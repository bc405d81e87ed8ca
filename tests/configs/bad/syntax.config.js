// expect: 3:22: SyntaxError: Unexpected identifier 'script'
module.exports = {
  apps: [{ name: "a" script: 1}]
}
