// expect: [0].exec: was given already, as script
module.exports = [{ script: "/bin/sh", exec: "/bin/ls" }];
