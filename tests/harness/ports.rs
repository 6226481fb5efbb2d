//! Loopback ports that no other cluster takes, in this process or another.
//!
//! Asking the kernel for a free port and closing it again is a race that parallel
//! test runs lose now and then. So ports come in blocks below the ephemeral range,
//! and a block belongs to whoever holds the lock on its file; the kernel drops the
//! lock when the process ends, however it ends.

use std::fs::{File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 21_000;
const BLOCK: u16 = 40;
const BLOCKS: u16 = 250;

/// A block of ports, held for as long as this value lives.
pub struct Ports {
    first: u16,
    used: AtomicU16,
    _lock: File,
}

impl Ports {
    /// Takes the first block that nobody holds and whose ports are free.
    pub fn take() -> Self {
        let directory = std::env::temp_dir().join("zonespread-ports");
        std::fs::create_dir_all(&directory).expect("a directory for port locks");
        // Shared by all users of the machine; fails when another user made it, which is fine.
        let _ = std::fs::set_permissions(&directory, Permissions::from_mode(0o1777));
        (0..BLOCKS)
            .find_map(|block| Self::try_block(&directory, FIRST + block * BLOCK))
            .expect("one free block of ports on the loopback interface")
    }

    fn try_block(directory: &Path, first: u16) -> Option<Self> {
        let lock = File::create(directory.join(first.to_string())).ok()?;
        lock.try_lock().ok()?;
        let free =
            (first..first + BLOCK).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        free.then(|| Self { first, used: AtomicU16::new(0), _lock: lock })
    }

    /// The next port of the block.
    pub fn next(&self) -> u16 {
        let offset = self.used.fetch_add(1, Ordering::Relaxed);
        assert!(offset < BLOCK, "a cluster has {BLOCK} ports, all are in use");
        self.first + offset
    }
}
