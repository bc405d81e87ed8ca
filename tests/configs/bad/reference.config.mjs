// expect: 2:30: ReferenceError: home is not defined
export const apps = [{ name: home }];
