//! Requests to the authorization server: any query, form, assertion, proof, scope or registration is answered or refused, and nothing hostile comes through.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tacet_ledger::noted::MemoryRows;
use tacet_ledger::{Channel, Origin};
use tacet_smart::scopes::ScopeSet;
use tacet_smart::{
    Asked, AuthorizationServer, Authorize, ClientMetadata, ClientProof, FetchError, FetchJwks, Fetching, JwkSet,
    Scheme, Settings, Shown, TokenRequest, check_redirect, redirect_matches,
};
use tacet_types::{ManualClock, OperationId, SeededRng, Timestamp};

struct NoWeb;

impl FetchJwks for NoWeb {
    fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
        Box::pin(std::future::ready(Err(FetchError)))
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));

static SERVER: LazyLock<AuthorizationServer> = LazyLock::new(|| {
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(1_790_000_000_000)));
    let settings = Settings::at("https://ehr.example", "https://ehr.example/fhir");
    let rng = Arc::new(SeededRng::new(1));
    let open = AuthorizationServer::open(Arc::new(MemoryRows::default()), clock, rng, settings, Arc::new(NoWeb));
    RUNTIME.block_on(open).expect("a server")
});

fuzz_target!(|data: &[u8]| {
    if let Ok(metadata) = ClientMetadata::parse(data) {
        // What was taken is taken again as it is written, and every address in it is one that may be redirected to.
        let text = serde_json::to_vec(&metadata).expect("JSON");
        assert!(ClientMetadata::parse(&text).is_ok());
        assert!(metadata.redirect_uris.iter().all(|uri| check_redirect(uri).is_ok() && redirect_matches(uri, uri)));
    }
    if let Ok(keys) = JwkSet::parse(data) {
        assert!(keys.keys.iter().all(|key| !key.is_private()));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(scopes) = ScopeSet::parse(text) {
        let all = ScopeSet::parse("patient/*.rs user/*.cruds openid").expect("well-formed");
        let met = scopes.meet(&all);
        assert!(all.covers(&met) && scopes.covers(&met));
        assert_eq!(ScopeSet::parse(&met.to_string()).expect("well-formed").to_string(), met.to_string());
    }
    for registered in ["https://app.example/cb", "http://127.0.0.1/cb"] {
        if redirect_matches(registered, text) {
            assert!(text == registered || text.starts_with("http://127.0.0.1"));
        }
    }
    let asked = Asked { origin: Origin { address: None, channel: Channel::Internal }, operation: OperationId([0; 16]) };
    // No client is registered: nothing may be redirected, and no token given.
    let answer = RUNTIME.block_on(SERVER.authorize(text, None, asked)).expect("rows in memory");
    assert!(matches!(answer, Authorize::Refuse(_)));
    let proof = ClientProof { authorization: None, dpop: Some(text), certificate: None };
    assert!(RUNTIME.block_on(SERVER.token(&TokenRequest { form: text, proof }, asked)).is_err());
    let form = format!(
        "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={text}"
    );
    assert!(RUNTIME.block_on(SERVER.token(&TokenRequest { form: &form, proof }, asked)).is_err());
    let url = "https://ehr.example/fhir/Patient/1";
    let shown = Shown { token: text, scheme: Scheme::Dpop, dpop: Some(text), method: "GET", url, certificate: None };
    assert!(SERVER.access(&shown).is_err());
});
