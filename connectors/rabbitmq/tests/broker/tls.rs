//! `amqps://`: whom it trusts and how it shows who it is. The other side here is a TLS server that listens for AMQP's first
//! words and hangs up: that it could read them says that the encryption stands.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    thread::JoinHandle,
};

use gantry_sdk::{Error, ErrorKind};
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::{SslAcceptor, SslMethod, SslVerifyMode},
    x509::{
        X509, X509NameBuilder,
        extension::{BasicConstraints, SubjectAlternativeName},
        store::X509StoreBuilder,
    },
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::{source, unopened};

/// A certificate that signs itself, and its key.
struct Identity {
    certificate: X509,
    key: PKey<Private>,
}

impl Identity {
    fn new(name: &str, address: &str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("OpenSSL knows the curve");
        let key = EcKey::generate(&group).and_then(PKey::from_ec_key).expect("a key can be made");
        let certificate = Self::sign(name, address, &key).expect("a certificate can be made");
        Self { certificate, key }
    }

    fn sign(name: &str, address: &str, key: &PKey<Private>) -> Result<X509, openssl::error::ErrorStack> {
        let mut subject = X509NameBuilder::new()?;
        subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
        let subject = subject.build();
        let mut serial = BigNum::new()?;
        serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
        builder.set_subject_name(&subject)?;
        builder.set_issuer_name(&subject)?;
        builder.set_pubkey(key)?;
        builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
        builder.set_not_after(&*Asn1Time::days_from_now(1)?)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        let names = SubjectAlternativeName::new().ip(address).build(&builder.x509v3_context(None, None))?;
        builder.append_extension(names)?;
        builder.sign(key, MessageDigest::sha256())?;
        Ok(builder.build())
    }

    fn write(&self, directory: &Path, name: &str) -> Files {
        let path = |kind: &str| directory.join(format!("{name}.{kind}")).to_str().expect("it is UTF-8").to_owned();
        let files = Files { certificate: path("pem"), key: path("key"), pkcs12: path("p12") };
        let write = |path: &str, bytes: Vec<u8>| std::fs::write(path, bytes).expect("a temporary file can be written");
        write(&files.certificate, self.certificate.to_pem().expect("it has a PEM form"));
        write(&files.key, self.key.private_key_to_pem_pkcs8().expect("it has a PEM form"));
        let pkcs12 = Pkcs12::builder().name(name).pkey(&self.key).cert(&self.certificate).build2("hunter2");
        write(&files.pkcs12, pkcs12.and_then(|pkcs12| pkcs12.to_der()).expect("it has a PKCS#12 form"));
        files
    }
}

struct Files {
    certificate: String,
    key: String,
    pkcs12: String,
}

/// What the server saw of a client that got through the handshake: its first words and its certificate's name.
type Seen = Option<([u8; 8], Option<String>)>;

/// Serves one connection; asks for a client certificate when it is given one to trust.
fn serve(own: &Identity, client: Option<&Identity>) -> (u16, JoinHandle<Seen>) {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL has TLS");
    acceptor.set_certificate(&own.certificate).expect("it is a certificate");
    acceptor.set_private_key(&own.key).expect("it is its key");
    if let Some(client) = client {
        let mut trusted = X509StoreBuilder::new().expect("OpenSSL has stores");
        trusted.add_cert(client.certificate.clone()).expect("it is a certificate");
        acceptor.set_verify_cert_store(trusted.build()).expect("it is a store");
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let serving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("it was connected to");
        let mut stream = acceptor.accept(stream).ok()?;
        let mut words = [0; 8];
        stream.read_exact(&mut words).ok()?;
        let name = stream.ssl().peer_certificate().and_then(|certificate| {
            let entry = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next()?;
            String::from_utf8(entry.data().as_slice().to_vec()).ok()
        });
        let _ = stream.flush();
        Some((words, name))
    });
    (port, serving)
}

async fn open_with(port: u16, tls: Json) -> Error {
    let connection = json!({ "urls": [format!("amqps://127.0.0.1:{port}")], "tls": tls });
    let error = unopened(source(json!({ "connection": connection, "queue": "q" }))).await;
    assert!(!error.chain().contains("hunter2"), "{}", error.chain());
    error
}

fn seen(serving: JoinHandle<Seen>) -> Seen {
    serving.join().expect("it does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_from_a_file_is_trusted() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let server = Identity::new("server", "127.0.0.1");
    let files = server.write(directory.path(), "server");
    let (port, serving) = serve(&server, None);
    let error = open_with(port, json!({ "ca_file": files.certificate })).await;
    assert_eq!(seen(serving), Some((*b"AMQP\0\0\x09\x01", None)), "{}", error.chain());
    assert_eq!(error.kind(), ErrorKind::Disconnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused_before_a_word_is_said() {
    let (port, serving) = serve(&Identity::new("server", "127.0.0.1"), None);
    let error = open_with(port, json!({})).await;
    assert_eq!(seen(serving), None);
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.chain().contains("an authority that is not trusted"), "{}", error.chain());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_host_is_refused() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let server = Identity::new("server", "127.0.0.2");
    let files = server.write(directory.path(), "server");
    let (port, serving) = serve(&server, None);
    let error = open_with(port, json!({ "ca_file": files.certificate })).await;
    assert_eq!(seen(serving), None);
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.chain());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_certificate_is_shown_from_pem_and_from_pkcs12() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let (server, client) = (Identity::new("server", "127.0.0.1"), Identity::new("gantry", "127.0.0.1"));
    let (server_files, client_files) =
        (server.write(directory.path(), "server"), client.write(directory.path(), "client"));
    for tls in [
        json!({ "certificate_file": client_files.certificate, "key_file": client_files.key }),
        json!({ "pkcs12_file": client_files.pkcs12, "pkcs12_password": "hunter2" }),
    ] {
        let mut tls = tls;
        tls["ca_file"] = json!(server_files.certificate);
        let (port, serving) = serve(&server, Some(&client));
        let error = open_with(port, tls).await;
        assert_eq!(seen(serving), Some((*b"AMQP\0\0\x09\x01", Some("gantry".to_owned()))), "{}", error.chain());
    }
}
