//! A TLS server that stands where a broker should be: for handshakes that must fail before a word is said.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use openssl::{
    ssl::{NameType, SslAcceptor, SslMethod, SslVerifyMode},
    x509::store::X509StoreBuilder,
};

use crate::certificates::Identity;

/// One that runs until it is dropped.
pub(crate) struct Imposter {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    names: Arc<Mutex<Vec<String>>>,
    serving: Option<JoinHandle<()>>,
}

impl Imposter {
    /// Shows this certificate.
    pub(crate) fn showing(own: &Identity) -> Self {
        Self::start(own, false)
    }

    /// Shows this certificate and asks the client for one; it likes none.
    pub(crate) fn asking(own: &Identity) -> Self {
        Self::start(own, true)
    }

    fn start(own: &Identity, asks: bool) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL has TLS");
        acceptor.set_certificate(&own.certificate).expect("it is a certificate");
        acceptor.set_private_key(&own.key).expect("it is its key");
        if asks {
            acceptor
                .set_verify_cert_store(X509StoreBuilder::new().expect("OpenSSL has stores").build())
                .expect("it is one");
            acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        let acceptor = acceptor.build();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, names) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let serving = std::thread::spawn({
            let (stop, names) = (Arc::clone(&stop), Arc::clone(&names));
            move || {
                for stream in listener.incoming().take_while(|_| !stop.load(Ordering::Relaxed)).flatten() {
                    serve(&acceptor, stream, &names);
                }
            }
        });
        Self { address, stop, names, serving: Some(serving) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Whom the clients that got through the handshake asked for (SNI).
    pub(crate) fn asked_for(&self) -> Vec<String> {
        self.names.lock().expect("nobody panics with it").clone()
    }
}

/// Gets through the handshake, if the client does, and says nothing more.
fn serve(acceptor: &SslAcceptor, stream: TcpStream, names: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("it is a socket");
    let Ok(stream) = acceptor.accept(stream) else { return };
    let name = stream.ssl().servername(NameType::HOST_NAME).unwrap_or_default();
    names.lock().expect("nobody panics with it").push(name.to_owned());
}

impl Drop for Imposter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let serving = self.serving.take().map(JoinHandle::join);
        assert!(serving.is_none_or(|ended| ended.is_ok()) || std::thread::panicking(), "the imposter panicked");
    }
}
