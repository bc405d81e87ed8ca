// expect: apps[0].instancse: unknown key "instancse", did you mean "instances"? | apps[1].max_restarts: expected a whole number, found the text "x" | apps[1].env["A=B"]: the name of a variable | apps[2]: this app has no "script" | app: unknown key "app"
module.exports = {
  apps: [
    { script: "/bin/sh", instancse: 2 },
    { script: "/bin/sh", max_restarts: "x", env: { "A=B": 1 } },
    { cwd: "/" },
  ],
  app: 1,
};
