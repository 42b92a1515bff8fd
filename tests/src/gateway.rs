//! Addresses that are known before the daemon behind them runs.
//!
//! URLs of CRLs and OCSP go into certificates when these are issued, but a
//! daemon gets its port from the system when it starts. A gateway listens
//! from the beginning on a port of its own and passes connections on, so no
//! port is ever guessed or reused.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::thread;

/// A fixed loopback address before a daemon with a changing one.
#[derive(Debug, Clone)]
pub struct Gateway {
    address: SocketAddr,
    target: Arc<AtomicU16>,
    connections: Arc<AtomicUsize>,
}

impl Gateway {
    /// Opens one; until it is told where to forward, it closes what connects.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a loopback port");
        let gateway = Self {
            address: listener.local_addr().expect("the bound address"),
            target: Arc::new(AtomicU16::new(0)),
            connections: Arc::new(AtomicUsize::new(0)),
        };
        let (target, connections) = (gateway.target.clone(), gateway.connections.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let port = target.load(Ordering::SeqCst);
                if port != 0 {
                    thread::spawn(move || pass(client, port));
                }
            }
        });
        gateway
    }

    /// Sends what connects from now on to this loopback port.
    pub fn forward_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }

    /// Closes what connects from now on, like a service that is down.
    pub fn close(&self) {
        self.forward_to(0);
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn pass(client: TcpStream, port: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else { return };
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    let _ = io::copy(&mut from_server, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Both);
    let _ = up.join();
}
