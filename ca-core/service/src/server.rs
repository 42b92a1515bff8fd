//! The HTTP/1 shell: a handler behind limits that hold against slow and greedy
//! clients, and a drain that lets answers finish.

mod quiet;
mod sources;
mod ticks;

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tower::ServiceExt;

use quiet::Quiet;
use sources::Sources;
use ticks::Ticks;

/// How much one client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait in the listening queue.
    pub connections: usize,
    /// Connections at once from one address, or one IPv6 network of 64 bits; those
    /// beyond are closed.
    pub per_source: usize,
    /// For a whole request head, and for an idle connection.
    pub head: Duration,
    /// For the requests of a connection; after it none is read.
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
            per_source: Self::share(1024),
            head: Duration::from_secs(10),
            connection: Duration::from_secs(300),
            drain: Duration::from_secs(10),
            head_bytes: 32 * 1024,
        }
    }
}

impl Limits {
    /// What one source may have of so many connections if nothing else is said: a
    /// quarter, but 16 in any case.
    #[must_use]
    pub const fn share(connections: usize) -> usize {
        if connections / 4 < 16 { 16 } else { connections / 4 }
    }
}

/// What answers the requests of a server.
///
/// A [`Router`] is one. Where its layers cost more than the answer, a handler
/// works on hyper's own types, and leaves to a router what is not urgent.
pub trait Handler: Clone + Send + Sync + 'static {
    /// The body of its responses.
    type Body: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// A body of nothing, for what the server refuses itself.
    fn empty() -> Self::Body;

    /// Answers a request that came from `peer`.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

impl Handler for Router {
    type Body = Body;

    fn empty() -> Body {
        Body::empty()
    }

    async fn handle(&self, request: Request<Incoming>, _: &Peer) -> Response<Body> {
        match self.clone().oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    ticks: Ticks,
}

impl Peer {
    /// Its address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `work` comes to, or none if that takes longer than `limit`, give or
    /// take an eighth of the time that a request head may take.
    pub async fn within<W: Future>(&self, limit: Duration, work: W) -> Option<W::Output> {
        let mut work = pin!(work);
        let pause = self.ticks.after(limit);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if pause.is_over() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

/// Serves `app` on `listener` until `stop` turns true, then drains.
pub async fn serve(listener: TcpListener, app: impl Handler, limits: Limits, stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let sources = Sources::new(limits.per_source);
    let mut stopped = pin!(until(stop.clone()));
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, stream, peer) = tokio::select! {
            () = &mut stopped => break,
            (permit, accepted) = accepted => match (permit, accepted) {
                (Ok(permit), Ok((stream, peer))) => (permit, stream, peer),
                (_, Err(error)) => {
                    // Out of descriptors, or a connection that broke in the queue.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                (Err(_), _) => break,
            },
        };
        let Some(place) = sources.admit(peer.ip()) else {
            tracing::debug!("a source has {} connections; one more was closed", limits.per_source);
            continue;
        };
        let (app, stop) = (app.clone(), stop.clone());
        tokio::spawn(async move {
            connection(stream, peer, app, limits, stop).await;
            drop((place, permit));
        });
    }
    drop(listener);
    // All permits are back when the last connection is gone. Each has its own
    // limit; the second more is for the machine.
    let all = permits.acquire_many(u32::try_from(limits.connections).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(limits.drain + Duration::from_secs(1), all).await;
}

/// Waits until the daemon ends; a sender that is gone means the end as well.
async fn until(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether the one Host field is there that HTTP/1.1 asks for (RFC 9112, section 3.2).
fn names_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match hosts.next() {
        Some(_) => hosts.next().is_none(),
        None => request.version() < Version::HTTP_11,
    }
}

fn refused<A: Handler>() -> Response<A::Body> {
    let mut response = Response::new(A::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Lets the clock tick until the daemon ends or the time of a connection is over.
async fn over(ticks: &Ticks, limit: Duration, stop: watch::Receiver<bool>) {
    let mut stopped = pin!(until(stop));
    let mut interval = tokio::time::interval(ticks.step());
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = interval.tick() => {
                if ticks.tick() >= limit {
                    return;
                }
                // The connection, which was polled before, looks at its limits.
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn connection<A: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    app: A,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    // Answers are small; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let ticks = Ticks::new(limits.head.min(limits.connection));
    let peer = Peer { address: peer, ticks: ticks.clone() };
    // Lent to each request: to count owners, processors would take turns at one count.
    let (app, peer) = (&app, &peer);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(if names_host(&request) {
            app.handle(request, peer).await
        } else {
            refused::<A>()
        })
    });
    let connection = http1::Builder::new()
        .timer(ticks.clone())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(8192))
        // Some clients send a request and close their half at once.
        .half_close(true)
        // To copy a small answer behind its head costs less than to write it from two places.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut over = pin!(Quiet::new(over(&ticks, limits.connection, stop)).await);
    tokio::select! {
        biased;
        ended = &mut connection => return log_end(ended),
        () = &mut over => {}
    }
    // The answer under way is finished, and nothing read after it. Who takes a
    // byte now and then is cut.
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(limits.drain, connection).await {
        log_end(ended);
    } else {
        tracing::debug!("a slow connection was cut");
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
