// expect: it threw 'no settings'
throw 'no settings';
