//! Settings of the authorization server and the bounds of what it takes.

/// Longest form or query, in bytes. A signed assertion with an RSA key has about 1 kB.
pub const FORM_BYTES_MAX: usize = 32 * 1024;

/// Most parameters in a form or query.
pub const PARAMETERS_MAX: usize = 40;

/// Longest value of one parameter but for assertions, in bytes.
pub const PARAMETER_BYTES_MAX: usize = 8 * 1024;

/// Longest signed token (assertion, proof, id token) that is looked at, in bytes.
pub const JWT_BYTES_MAX: usize = 16 * 1024;

/// Longest registration, in bytes.
pub const REGISTRATION_BYTES_MAX: usize = 64 * 1024;

/// Largest set of keys of a client, in bytes.
pub const JWKS_BYTES_MAX: usize = 64 * 1024;

/// Most keys of a client.
pub const KEYS_MAX: usize = 20;

/// Most redirect addresses of a client.
pub const REDIRECTS_MAX: usize = 20;

/// Most scopes in one request, and in what a client may ever have.
pub const SCOPES_MAX: usize = 100;

/// Most registrations that wait for approval. Registering is open to anybody on the network: more than these are refused.
pub const PENDING_MAX: usize = 100;

/// Most of these that came from nobody who is logged in.
pub const PENDING_OF_NOBODY_MAX: usize = PENDING_MAX / 2;

/// Most clients whose fetched keys are kept in memory.
pub const KEY_CACHE_MAX: usize = 500;

/// Most proofs of possession that are remembered, so that none is used twice. About 40 bytes each.
pub const PROOFS_MAX: usize = 500_000;

/// Longest life of a client's assertion, in seconds (SMART App Launch 2.2, "Authentication JWT": five minutes).
pub const ASSERTION_AGE_S_MAX: i64 = 300;

/// How far the clocks of a client and of this server may be apart, in seconds.
pub const CLOCK_SKEW_S: i64 = 60;

/// How old a proof of possession may be, in seconds.
pub const PROOF_AGE_S_MAX: i64 = 60;

/// How fresh a login must be to count as made for a request that asks for a new one (`prompt=login`), in milliseconds.
pub const FRESH_LOGIN_MS: i64 = 120_000;

/// How long keys fetched from a client's address are used without fetching again, in milliseconds.
pub const KEY_CACHE_MS: i64 = 10 * 60_000;

/// How long after a fetch the same address is not asked again, whatever key somebody names, in milliseconds.
pub const KEY_FETCH_PAUSE_MS: i64 = 30_000;

/// How long a code that was used is remembered, so that its second use is noticed, in milliseconds.
pub const USED_CODE_MS: i64 = 24 * 3_600_000;

/// How long a registration waits for approval before it is forgotten, in milliseconds.
pub const PENDING_MS: i64 = 30 * 24 * 3_600_000;

/// Where the server is and how long what it gives lives.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer: `https` address without query, fragment or stroke at the end.
    pub issuer: String,
    /// What `aud` of a request may be: the FHIR base addresses. The first stands before relative references (`fhirUser`).
    pub audiences: Vec<String>,
    /// Where the parts of the server are.
    pub endpoints: Endpoints,
    /// How long what it gives lives.
    pub lifetimes: Lifetimes,
    /// Whether TLS asks clients for a certificate: where not, none can prove itself by one, and the documents do not say so.
    pub client_certificates: bool,
    /// Whether each proof of possession must hold a nonce of this server (RFC 9449, section 8).
    pub dpop_nonce: bool,
}

/// Absolute addresses of the server's parts.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Where a person is sent to.
    pub authorize: String,
    /// Where tokens are given.
    pub token: String,
    /// RFC 7662.
    pub introspect: String,
    /// RFC 7009.
    pub revoke: String,
    /// RFC 7591.
    pub register: String,
    /// The server's public keys.
    pub jwks: String,
}

/// How long what the server gives lives, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// An access token.
    pub access_ms: i64,
    /// An authorization code.
    pub code_ms: i64,
    /// A family of refresh tokens that ends with the session (`online_access`).
    pub online_ms: i64,
    /// A family of refresh tokens that outlives it (`offline_access`).
    pub offline_ms: i64,
    /// A launch context, until the client comes back with it.
    pub launch_ms: i64,
    /// A consent page, until the person decides.
    pub ticket_ms: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_ms: 5 * 60_000,
            code_ms: 60_000,
            online_ms: 8 * 3_600_000,
            offline_ms: 90 * 24 * 3_600_000,
            launch_ms: 5 * 60_000,
            ticket_ms: 10 * 60_000,
        }
    }
}

impl Settings {
    /// Settings for a server at `issuer` (`https://ehr.example`) that guards one FHIR base, with the parts under
    /// `/oauth`.
    pub fn at(issuer: &str, fhir_base: &str) -> Self {
        let issuer = issuer.trim_end_matches('/');
        let part = |name: &str| format!("{issuer}/oauth/{name}");
        Self {
            issuer: issuer.to_owned(),
            audiences: vec![fhir_base.trim_end_matches('/').to_owned()],
            endpoints: Endpoints {
                authorize: part("authorize"),
                token: part("token"),
                introspect: part("introspect"),
                revoke: part("revoke"),
                register: part("register"),
                jwks: part("jwks"),
            },
            lifetimes: Lifetimes::default(),
            client_certificates: true,
            dpop_nonce: false,
        }
    }

    /// Whether this is one of the FHIR bases, with or without a stroke at the end.
    pub(crate) fn is_audience(&self, aud: &str) -> bool {
        let plain = aud.strip_suffix('/').unwrap_or(aud);
        self.audiences.iter().any(|known| known.trim_end_matches('/') == plain)
    }

    /// A reference such as `Practitioner/p1` as an absolute address.
    pub(crate) fn absolute(&self, reference: &str) -> String {
        let base = self.audiences.first().map_or("", |base| base.trim_end_matches('/'));
        format!("{base}/{reference}")
    }
}
