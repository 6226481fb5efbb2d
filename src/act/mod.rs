//! The only code that changes the cluster: it evicts, and watches the landing.

mod evictor;
mod landing;
mod lease;
mod record;

pub use evictor::{ApiEvictor, Evictor};
pub use landing::{Ending, follow};
pub use lease::{Elector, LEASE_NAME, Leadership};
pub use record::{Asked, Move, seconds};
