//! The files behind `tls`: authorities to trust, and the client's own certificate and key.
//!
//! They are read at each connect, so renewed ones are taken without a restart. The client library could read them too, but
//! its errors name no file and no reason, and OpenSSL asks on the terminal for the pass phrase of an encrypted key.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    sync::{Arc, OnceLock},
};

use gantry_sdk::{Error, ErrorKind, Result};
use openssl::{
    error::ErrorStack,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::{SslConnector, SslMethod, SslVerifyMode},
    x509::{X509, X509VerifyResult},
};

use super::TlsOptions;

/// The most that a file may hold: hundreds of certificates fit.
const LARGEST: u64 = 4 << 20;

/// Whom to trust, and who we are.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// Beside the system's.
    authorities: Vec<X509>,
    own: Option<Own>,
}

/// The client's certificate, its key, and who signed it.
#[derive(Debug)]
struct Own {
    certificate: X509,
    key: PKey<Private>,
    chain: Vec<X509>,
}

/// What OpenSSL did not like about the broker's certificate, once it has looked. Its own errors do not say.
pub(super) type Objection = Arc<OnceLock<X509VerifyResult>>;

impl Credentials {
    /// From files that hold what they should.
    pub(super) fn read(options: &TlsOptions) -> Result<Self> {
        let own = match (&options.certificate_file, &options.key_file, &options.pkcs12_file) {
            (Some(certificate), Some(key), _) => Some(from_pem(certificate, key)?),
            (_, _, Some(path)) => {
                Some(from_pkcs12(path, options.pkcs12_password.as_ref().map_or("", |secret| secret.reveal()))?)
            }
            _ => None,
        };
        let authorities = match &options.ca_file {
            Some(path) => certificates(&bytes("ca_file", path)?).map_err(|reason| wrong("ca_file", path, reason))?,
            None => Vec::new(),
        };
        Ok(Self { authorities, own })
    }

    /// For one connection. Certificate and host name are always verified.
    pub(super) fn connector(&self) -> Result<(SslConnector, Objection), ErrorStack> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        for authority in &self.authorities {
            builder.cert_store_mut().add_cert(authority.clone())?;
        }
        if let Some(own) = &self.own {
            builder.set_certificate(&own.certificate)?;
            builder.set_private_key(&own.key)?;
            for certificate in &own.chain {
                builder.add_extra_chain_cert(certificate.clone())?;
            }
        }
        let objection = Objection::default();
        let seen = Arc::clone(&objection);
        builder.set_verify_callback(SslVerifyMode::PEER, move |is_fine, chain| {
            if !is_fine {
                let _ = seen.set(chain.error());
            }
            is_fine
        });
        Ok((builder.build(), objection))
    }
}

fn from_pem(certificate: &str, key: &str) -> Result<Own> {
    let (pem, key_pem) = (bytes("certificate_file", certificate)?, bytes("key_file", key)?);
    let mut chain = certificates(&pem).map_err(|reason| wrong("certificate_file", certificate, reason))?;
    let private = private_key(&key_pem).map_err(|reason| wrong("key_file", key, reason))?;
    let own = chain.remove(0);
    if !own.public_key().is_ok_and(|public| private.public_eq(&public)) {
        return Err(wrong("key_file", key, format!("it is not the key of the first certificate in {certificate}")));
    }
    Ok(Own { certificate: own, key: private, chain })
}

fn from_pkcs12(path: &str, password: &str) -> Result<Own> {
    let der = bytes("pkcs12_file", path)?;
    let parsed = Pkcs12::from_der(&der).map_err(|_| "it is no PKCS#12 file".to_owned()).and_then(|pkcs12| {
        pkcs12.parse2(password).map_err(|error| match reason(&error) {
            "mac verify failure" => "tls.pkcs12_password does not open it".to_owned(),
            "unsupported" => {
                "its encryption is too old for OpenSSL 3: make it again with `openssl pkcs12 -export`".to_owned()
            }
            other => other.to_owned(),
        })
    });
    let parsed = parsed.map_err(|reason| wrong("pkcs12_file", path, reason))?;
    match (parsed.cert, parsed.pkey) {
        (Some(certificate), Some(key)) => {
            let chain = parsed.ca.into_iter().flatten().collect();
            Ok(Own { certificate, key, chain })
        }
        _ => Err(wrong("pkcs12_file", path, "it holds no certificate with its key")),
    }
}

/// At least one: OpenSSL takes a file without any for an empty list of authorities.
fn certificates(pem: &[u8]) -> Result<Vec<X509>, String> {
    match X509::stack_from_pem(pem) {
        Ok(certificates) if certificates.is_empty() => Err("it holds no PEM certificate".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("it holds a PEM certificate that cannot be read: {}", reason(&error))),
    }
}

fn private_key(pem: &[u8]) -> Result<PKey<Private>, String> {
    let mut is_encrypted = false;
    let key = PKey::private_key_from_pem_callback(pem, |_| {
        is_encrypted = true;
        Err(ErrorStack::get())
    });
    match key {
        Ok(key) => Ok(key),
        Err(_) if is_encrypted => {
            Err("it is encrypted: give the key without a pass phrase, or tls.pkcs12_file".to_owned())
        }
        Err(_) => Err("it holds no PEM private key".to_owned()),
    }
}

fn reason(error: &ErrorStack) -> &'static str {
    error.errors().iter().rev().find_map(openssl::error::Error::reason).unwrap_or("OpenSSL cannot read it")
}

fn bytes(option: &str, path: &str) -> Result<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST { Err(io::Error::other("it is larger than 4 MiB")) } else { Ok(bytes) }
    };
    read().map_err(|error| wrong(option, path, error))
}

fn wrong(option: &str, path: &str, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::with_source(ErrorKind::Config, format!("tls.{option}: reading {path}"), io::Error::other(reason))
}

#[cfg(test)]
mod tests {
    use gantry_sdk::config::Secret;
    use openssl::symm::Cipher;

    use super::*;

    fn failure(options: &TlsOptions) -> String {
        let error = Credentials::read(options).expect_err("it cannot be read");
        assert_eq!(error.kind(), ErrorKind::Config);
        error.chain()
    }

    #[test]
    fn a_file_without_certificates_is_told_before_connecting() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("empty.pem").display().to_string();
        std::fs::write(&path, "").expect("it can be written");
        let chain = failure(&TlsOptions { ca_file: Some(path.clone()), ..TlsOptions::default() });
        assert_eq!(chain, format!("tls.ca_file: reading {path}: it holds no PEM certificate"));
    }

    #[test]
    fn a_device_is_no_certificate() {
        let chain = failure(&TlsOptions { ca_file: Some("/dev/zero".to_owned()), ..TlsOptions::default() });
        assert_eq!(chain, "tls.ca_file: reading /dev/zero: it is not a regular file");
    }

    #[test]
    fn an_encrypted_key_is_told_and_never_asked_for() {
        let key = PKey::generate_ed25519().expect("a key can be made");
        let pem =
            key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"hunter2").expect("it has a PEM form");
        let error = private_key(&pem).expect_err("nobody gave the pass phrase");
        assert!(error.contains("is encrypted"), "{error}");
        assert!(private_key(b"rubbish").expect_err("it is no key").contains("no PEM private key"));
    }

    #[test]
    fn rubbish_is_no_pkcs12_file() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("client.p12").display().to_string();
        std::fs::write(&path, "rubbish").expect("it can be written");
        let options = TlsOptions {
            pkcs12_file: Some(path),
            pkcs12_password: Some(Secret::new("hunter2")),
            ..TlsOptions::default()
        };
        let chain = failure(&options);
        assert!(chain.contains("no PKCS#12 file") && !chain.contains("hunter2"), "{chain}");
    }
}
