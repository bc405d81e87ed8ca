// expect: expected "apps:" with a list of apps
