//! A webhook's server that hangs.

use tokio::net::TcpListener;

/// A server that takes every connection and never says a word: its port.
pub async fn mute_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    port
}
