mod affinity;
mod resources;
mod revisions;
mod spreading;
mod storage;
mod stories;
mod volumes;
