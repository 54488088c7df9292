//! Which requests come from who may ask: not from a web page of someone else in an operator's browser.
//!
//! - `Host` is what the client thinks it talks to. A name that an attacker's DNS points at this port (DNS rebinding) gives
//!   itself away there. Right are loopback, the address that the connection came to, and what is in `control.hosts`.
//! - `Origin` and `Sec-Fetch-Site` are what a browser says of the page that asks. A page from elsewhere is refused, whatever the
//!   method: many requests that change something need no permission of ours.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use axum::{
    extract::Request,
    http::{
        HeaderValue, StatusCode, Version, header,
        uri::{Authority, Uri},
    },
};

use super::error::Refusal;

const FETCH_SITE: &str = "sec-fetch-site";

/// The names that this port answers to, besides its addresses.
#[derive(Debug, Default)]
pub(super) struct Site {
    hosts: Vec<String>,
    told: AtomicBool,
}

impl Site {
    /// `hosts` in lower case.
    pub(super) fn new(hosts: Vec<String>) -> Self {
        Self { hosts, told: AtomicBool::new(false) }
    }

    /// Refuses what comes from elsewhere; `local` is the address that the connection came to.
    pub(super) fn admit(&self, request: &Request, local: IpAddr) -> Result<(), Refusal> {
        let headers = request.headers();
        let host = host(request)?;
        if let Some(host) = host.iter().chain(request.uri().authority()).find(|host| !self.is_ours(host, local)) {
            let message = format!(
                "the host \"{}\" is none of this port's: ask for its address, or add the name to control.hosts",
                host.host()
            );
            return Err(self.refuse(message));
        }
        let cross_site = headers.get_all(FETCH_SITE).iter().any(|site| site == "cross-site");
        if cross_site || headers.get_all(header::ORIGIN).iter().any(|origin| !self.is_same(origin, host.as_ref())) {
            let message =
                "a page of another site may not ask this port; add the page's host to control.hosts if it may";
            return Err(self.refuse(message.to_owned()));
        }
        Ok(())
    }

    fn refuse(&self, message: String) -> Refusal {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!("control port: refused a request: {message} (told once)");
        }
        Refusal::new(StatusCode::FORBIDDEN, message)
    }

    fn is_ours(&self, host: &Authority, local: IpAddr) -> bool {
        let name = bare(host);
        match name.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if address.is_loopback() || address == local.to_canonical() => true,
            _ => name == "localhost" || self.hosts.contains(&name),
        }
    }

    /// Whether a page from there is one that was served under our own name, or by a host that may ask.
    fn is_same(&self, origin: &HeaderValue, host: Option<&Authority>) -> bool {
        // "null" is a page that does not say where it is from.
        let Some(origin) = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok()) else { return false };
        let (Some(scheme), Some(page)) = (origin.scheme_str(), origin.authority()) else { return false };
        let port = |authority: &Authority| authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let is_host = |host: &Authority| bare(host) == bare(page) && port(host) == port(page);
        host.is_some_and(is_host) || self.hosts.contains(&bare(page))
    }
}

/// What the client thinks it talks to. Only old clients, and no browsers, say nothing.
fn host(request: &Request) -> Result<Option<Authority>, Refusal> {
    let bad = || Refusal::plain(StatusCode::BAD_REQUEST);
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() >= Version::HTTP_11 && request.uri().authority().is_none() => Err(bad()),
        (None, _) => Ok(None),
        (Some(host), None) => {
            let host: Authority = host.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(bad)?;
            if host.as_str().contains('@') { Err(bad()) } else { Ok(Some(host)) }
        }
        (Some(_), Some(_)) => Err(bad()),
    }
}

/// The host in lower case, without brackets and without the dot that may end a name.
fn bare(authority: &Authority) -> String {
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    /// The status that the request is refused with, on a port that other machines reach.
    fn refused(version: Version, uri: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let site = Site::new(vec!["gantry".to_owned(), "ops.example.org".to_owned()]);
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let refusal = site.admit(&request, "::ffff:10.1.2.3".parse().expect("an address")).err();
        refusal.map(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn the_host_is_loopback_our_address_or_configured() {
        let asks = |host: &str| refused(Version::HTTP_11, "/", &[("host", host)]);
        for host in [
            "localhost:8083",
            "LocalHost.",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:8083",
            "10.1.2.3:8083",
            "[::ffff:10.1.2.3]",
            "gantry:8083",
            "GANTRY",
            "ops.example.org",
        ] {
            assert_eq!(asks(host), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8083",
            "127.0.0.1.evil.example",
            "10.1.2.4",
            "0.0.0.0",
            "[::2]",
            "evil.ops.example.org",
        ] {
            assert_eq!(asks(host), Some(403), "{host}");
        }
        assert_eq!((asks("localhost@evil.example"), asks(" ")), (Some(400), Some(400)));
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(refused(Version::HTTP_11, "/", &two), Some(400));
        assert_eq!((refused(Version::HTTP_11, "/", &[]), refused(Version::HTTP_10, "/", &[])), (Some(400), None));
        let proxied = refused(Version::HTTP_11, "http://evil.example/", &[("host", "localhost")]);
        assert_eq!(proxied, Some(403));
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let asks = |name: &str, value: &str| refused(Version::HTTP_11, "/", &[("host", "gantry:8083"), (name, value)]);
        for origin in ["http://gantry:8083", "https://ops.example.org", "http://ops.example.org:3000"] {
            assert_eq!(asks("origin", origin), None, "{origin}");
        }
        for origin in ["http://evil.example", "http://localhost:3000", "null", "", "gantry:8083", "file:///x"] {
            assert_eq!(asks("origin", origin), Some(403), "{origin}");
        }
        assert_eq!(asks(FETCH_SITE, "cross-site"), Some(403));
        assert_eq!([asks(FETCH_SITE, "same-origin"), asks(FETCH_SITE, "none")], [None, None]);
    }
}
