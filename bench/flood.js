// The same lines as `flood write`, by console.log. Usage: flood.js LINES FILE
'use strict';
const fs = require('fs');

const lines = Number(process.argv[2]);
const rest = ' ' + 'x'.repeat(87);
const begin = process.hrtime.bigint();
for (let i = 0; i < lines; i++)
  console.log('#' + String(i).padStart(10, '0') + rest);
// Not before all of it has left the process: on a socket, as PM2 gives, node writes from its own memory later.
process.stdout.write('', () => fs.writeFileSync(process.argv[3], `${begin} ${process.hrtime.bigint()}\n`));
setInterval(() => {}, 1 << 30);
