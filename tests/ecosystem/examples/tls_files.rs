//! `cargo run -p ringway-ecosystem-tests --bin tls_files -- CERTIFICATE KEY FOLDER 127.0.0.1:8443`
//!
//! Serves the files in FOLDER over HTTPS, by HTTP/1 or 2 as the client likes. CERTIFICATE and KEY are files in PEM. The
//! rings read the files and wait at the sockets, rustls encrypts, axum serves: no runtime of tokio's is about.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use ringway::axum::{Listener, serve};
use ringway::fs::Dir;
use ringway::net::{TcpListener, TcpStream};
use ringway::task::JoinSet;
use ringway::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_util::io::ReaderStream;

/// Who has not shaken hands after so long does not want to.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes at once; who comes then waits in the kernel's queue.
const HANDSHAKES_MAX: usize = 1_024;
/// Bytes of a file that are read at a time.
const CHUNK: usize = 64 * 1024;

#[ringway::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [certificate, key, folder, address] = arguments.as_slice() else {
        return Err("wanted: CERTIFICATE KEY FOLDER ADDRESS".into());
    };
    let listener = TlsListener {
        tcp: TcpListener::bind(address).await?,
        acceptor: acceptor(certificate, key)?,
        handshakes: JoinSet::new(),
    };
    println!("listening on {}", listener.local_addr()?);
    let router = Router::new()
        .route("/{*path}", get(file))
        .with_state(Arc::new(Dir::open(folder).await?));
    let interrupted = async { drop(ringway::signal::ctrl_c().await) };
    serve(listener, router)
        .with_graceful_shutdown(interrupted)
        .await?;
    Ok(())
}

/// Answers with a file. No path leads out of the folder: the kernel sees to that.
async fn file(
    State(folder): State<Arc<Dir>>,
    Path(path): Path<String>,
) -> Result<Body, (StatusCode, String)> {
    let file = folder.open_file(path).await.map_err(|error| {
        let status = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StatusCode::NOT_FOUND,
            _ => StatusCode::FORBIDDEN,
        };
        (status, format!("{error}\n"))
    })?;
    Ok(Body::from_stream(ReaderStream::with_capacity(file, CHUNK)))
}

fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A listener for axum whose connections have shaken hands, each in a task: one that takes its time holds up nobody.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            ringway::select! {
                Some(shaken) = self.handshakes.join_next() => match shaken {
                    Ok(Ok(accepted)) => return accepted,
                    Ok(Err(error)) => eprintln!("handshake: {error}"),
                    Err(panic) => eprintln!("handshake: {panic}"),
                },
                // Axum's, which comes back from errors.
                (stream, peer) = Listener::accept(&mut self.tcp), if self.handshakes.len() < HANDSHAKES_MAX => {
                    let handshake = timeout(HANDSHAKE_MAX, self.acceptor.accept(stream));
                    self.handshakes.spawn(async move { Ok((handshake.await??, peer)) });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
