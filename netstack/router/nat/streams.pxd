# compiled as it is: what a new flow costs is mostly here
