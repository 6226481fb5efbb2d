mod affinity;
mod resources;
mod spreading;
mod stories;
mod volumes;
