//! Certificates: what the brokers' own authority signs, and what it never would.

use std::path::{Path, PathBuf};

use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    x509::{
        X509, X509Name, X509NameBuilder,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};

/// Opens every PKCS#12 file of the tests. It may be shown nowhere.
pub(crate) const PASSWORD: &str = "hunter2-p12";

const DAY: i64 = 24 * 60 * 60;

/// Who signs.
pub(crate) struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// What is signed: a certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

/// An identity as files that a configuration can name.
pub(crate) struct Files {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) pkcs12: String,
}

/// Where the brokers' certificates are.
fn directory() -> PathBuf {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".brokers/tls");
    std::env::var_os("GANTRY_TEST_TLS").map_or_else(usual, PathBuf::from)
}

/// The file of the authority that signed the brokers' certificates.
pub(crate) fn ca_file() -> String {
    directory().join("ca.pem").display().to_string()
}

impl Authority {
    /// The one that the brokers trust.
    pub(crate) fn of_the_brokers() -> Self {
        let read = |name: &str| {
            let path = directory().join(name);
            let what = "run `scripts/brokers down`, then `scripts/brokers up`: brokers from before have no encryption";
            std::fs::read(&path).unwrap_or_else(|error| panic!("reading {}: {error}; {what}", path.display()))
        };
        let certificate = X509::from_pem(&read("ca.pem")).expect("a certificate");
        let key = PKey::private_key_from_pem(&read("ca.key")).expect("a key");
        Self { certificate, key }
    }

    /// One that nobody knows.
    pub(crate) fn unknown() -> Self {
        let key = new_key().expect("a key can be made");
        let certificate = sign("Nobody's authority", None, (-DAY, DAY), &key, None).expect("a certificate can be made");
        Self { certificate, key }
    }

    /// For this machine, as the brokers' own.
    pub(crate) fn server(&self) -> Identity {
        self.issue("localhost", Some("127.0.0.1"), (-DAY, DAY))
    }

    /// Good until yesterday.
    pub(crate) fn expired_server(&self) -> Identity {
        self.issue("localhost", Some("127.0.0.1"), (-3 * DAY, -DAY))
    }

    /// For another machine.
    pub(crate) fn server_elsewhere(&self) -> Identity {
        self.issue("rabbit.example", Some("192.0.2.1"), (-DAY, DAY))
    }

    /// For a client of that name.
    pub(crate) fn client(&self, name: &str) -> Identity {
        self.issue(name, None, (-DAY, DAY))
    }

    fn issue(&self, name: &str, address: Option<&str>, lifetime: (i64, i64)) -> Identity {
        let key = new_key().expect("a key can be made");
        let certificate = sign(name, address, lifetime, &key, Some(self)).expect("a certificate can be made");
        Identity { certificate, key }
    }
}

impl Identity {
    /// Writes it, over an older one of that name.
    pub(crate) fn write(&self, directory: &Path, name: &str) -> Files {
        let path = |kind: &str| directory.join(format!("{name}.{kind}")).display().to_string();
        let files = Files { certificate: path("pem"), key: path("key"), pkcs12: path("p12") };
        let write = |path: &str, bytes: Vec<u8>| std::fs::write(path, bytes).expect("a temporary file can be written");
        write(&files.certificate, self.certificate.to_pem().expect("it has a PEM form"));
        write(&files.key, self.key.private_key_to_pem_pkcs8().expect("it has a PEM form"));
        let pkcs12 = Pkcs12::builder().name(name).pkey(&self.key).cert(&self.certificate).build2(PASSWORD);
        write(&files.pkcs12, pkcs12.and_then(|pkcs12| pkcs12.to_der()).expect("it has a PKCS#12 form"));
        files
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    EcKey::generate(&group).and_then(PKey::from_ec_key)
}

fn named(name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

/// Seconds from now.
fn time(offset: i64) -> Result<Asn1Time, ErrorStack> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    Asn1Time::from_unix(i64::try_from(now).expect("it fits") + offset)
}

fn sign(
    name: &str,
    address: Option<&str>,
    (from, to): (i64, i64),
    key: &PKey<Private>,
    by: Option<&Authority>,
) -> Result<X509, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let subject = named(name)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(by.map_or(&*subject, |authority| authority.certificate.subject_name()))?;
    builder.set_pubkey(key)?;
    let (from, to): (Asn1Time, Asn1Time) = (time(from)?, time(to)?);
    let (from, to): (&Asn1TimeRef, &Asn1TimeRef) = (&from, &to);
    builder.set_not_before(from)?;
    builder.set_not_after(to)?;
    let mut constraints = BasicConstraints::new();
    constraints.critical();
    if by.is_none() {
        constraints.ca();
    }
    builder.append_extension(constraints.build()?)?;
    if let Some(address) = address {
        let mut names = SubjectAlternativeName::new();
        names.dns(name).ip(address);
        let names = names.build(&builder.x509v3_context(by.map(|authority| &*authority.certificate), None))?;
        builder.append_extension(names)?;
    }
    builder.sign(by.map_or(key, |authority| &authority.key), MessageDigest::sha256())?;
    Ok(builder.build())
}
