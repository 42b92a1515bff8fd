//! The HTTP/1 shell: a router behind limits that hold against slow and greedy
//! clients, and a drain that lets answers finish.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// How much one client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait in the listening queue.
    pub connections: usize,
    /// For a whole request head, and for an idle connection.
    pub head: Duration,
    /// For a connection as a whole; after it no further request is read.
    pub connection: Duration,
    /// For the answers under way when the daemon ends or a connection is over.
    pub drain: Duration,
    /// Bytes of a request head.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(10),
            connection: Duration::from_secs(300),
            drain: Duration::from_secs(10),
            head_bytes: 32 * 1024,
        }
    }
}

/// Serves `app` on `listener` until `stop` turns true, then drains.
pub async fn serve(listener: TcpListener, app: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut stopped = pin!(async move {
        // A sender that is gone means the end as well.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, stream) = tokio::select! {
            () = &mut stopped => break,
            (permit, accepted) = accepted => match (permit, accepted) {
                (Ok(permit), Ok((stream, _))) => (permit, stream),
                (_, Err(error)) => {
                    // Out of descriptors, or a connection that broke in the queue.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                (Err(_), _) => break,
            },
        };
        let watcher = graceful.watcher();
        let app = app.clone();
        tokio::spawn(async move {
            connection(stream, app, limits, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections were cut after {} s of draining", limits.drain.as_secs());
    }
}

async fn connection(
    stream: TcpStream,
    app: Router,
    limits: Limits,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are small; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(respond(app, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(8192))
        // Some clients send a request and close their half at once.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(watcher.watch(connection));
    // A client that reads or writes a byte now and then is cut at the limit.
    if let Ok(Err(error)) = tokio::time::timeout(limits.connection, &mut connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn respond(app: Router, request: Request<Incoming>) -> axum::response::Response {
    match app.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
