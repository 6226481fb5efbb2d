mod affinity;
mod resources;
mod revisions;
mod spreading;
mod standings;
mod storage;
mod stories;
mod volumes;
