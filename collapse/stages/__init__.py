"""One function a door: (parameters, workspace) -> measurements. Here the parts are composed."""
