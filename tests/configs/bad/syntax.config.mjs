// expect: 3:22: SyntaxError: Unexpected identifier 'script'
export default {
  apps: [{ name: "a" script: 1}]
}
