// expect: expected "apps:" with a list of apps, a list, or one app with a "script", found the text "apps"
module.exports = "apps";
