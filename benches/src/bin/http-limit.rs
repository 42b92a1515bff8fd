//! What an HTTP server in Rust can do at most: the OCSP responder is measured beside it.

use std::convert::Infallible;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::any;
use chancery_benches::Result;
use chancery_benches::table::note;
use clap::{Parser, ValueEnum};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Answers every GET and POST with a body of a fixed size, until it is killed.
#[derive(Debug, Parser)]
struct Cli {
    /// How.
    #[arg(long)]
    how: How,
    /// Where to listen on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Size of a body.
    #[arg(long, default_value_t = 500)]
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum How {
    /// A service of hyper; a POST's body is read to its end.
    Hyper,
    /// A handler of axum.
    Axum,
    /// As hyper, and an ECDSA P-256 signature over 200 bytes for each request.
    HyperSign,
}

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/ocsp-response");

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("http-limit: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", cli.port)).await?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let body = Bytes::from(vec![0x30; cli.bytes]);
    if cli.how == How::Axum {
        let routes = Router::new().route("/", any(handler)).route("/{*rest}", any(handler));
        return Ok(axum::serve(listener, routes.with_state(body)).await?);
    }
    let signer = (cli.how == How::HyperSign).then(Signer::new).transpose()?;
    let limit = Arc::new(Limit { body, signer });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let limit = limit.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| limit.answer(request));
            // A connection that breaks off is the client's affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn handler(
    State(body): State<Bytes>,
    _: Bytes,
) -> ([(hyper::header::HeaderName, HeaderValue); 1], Bytes) {
    ([(CONTENT_TYPE, MEDIA_TYPE)], body)
}

struct Limit {
    body: Bytes,
    signer: Option<Signer>,
}

impl Limit {
    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        let post = request.method() == Method::POST;
        let read = if post { request.into_body().collect().await.is_ok() } else { true };
        let body = match &self.signer {
            Some(signer) => signer.sign(&self.body),
            None => Some(self.body.clone()),
        };
        let failed = !read || body.is_none();
        let mut response = Response::new(Full::new(body.unwrap_or_default()));
        if failed {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
        Ok(response)
    }
}

struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Result<Self> {
        Ok(Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            random: SystemRandom::new(),
        })
    }

    /// A copy of `body` that begins with a signature over its first 200 bytes.
    fn sign(&self, body: &Bytes) -> Option<Bytes> {
        let signature = self.key.sign(&self.random, body.get(..200).unwrap_or(body)).ok()?;
        let mut signed = body.to_vec();
        let length = signature.as_ref().len().min(signed.len());
        signed.get_mut(..length)?.copy_from_slice(signature.as_ref().get(..length)?);
        Some(signed.into())
    }
}
