// expect: node ended with exit code 3 before this config had given its apps
process.exit(3);
