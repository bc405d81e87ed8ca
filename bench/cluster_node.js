// The same server under Node's own cluster, in round robin: node cluster_node.js WORKERS
const cluster = require('cluster');

cluster.schedulingPolicy = cluster.SCHED_RR;
// By setsid each worker has a session of its own, as under pm.
cluster.setupPrimary({ exec: require('path').join(__dirname, 'cluster_server.js'), execArgv: [process.execPath] });
process.execPath = 'setsid';
for (let i = 0; i < Number(process.argv[2]); i++) cluster.fork();
cluster.on('exit', () => process.exit(1));
process.on('SIGTERM', () => process.exit(0));
