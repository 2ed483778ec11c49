//! What the doctor finds of the authority for devices, and of the certificates that it has issued. Nothing where there is
//! none: it is not wanted.

use std::time::Duration;

use api::doctor::{Finding, Severity};
use fleet::Timestamp;
use mtp::tls::authority::Authority;
use store::CertificateFilter;

use super::findings::{certificate, finding};
use crate::auth::Caller;
use crate::problem::{Result, internal};
use crate::state::State;

/// A device that is often off has to be met before its certificate ends.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// So many are counted.
const COUNTED: usize = 100;

/// All of it.
pub async fn all(state: &State, caller: &Caller, at: Timestamp) -> Result<Vec<Finding>> {
    let folder = state.config.pki_folder();
    let opened = tokio::task::spawn_blocking(move || Authority::open(&folder)).await;
    let authority = match opened.map_err(internal)? {
        Ok(None) => return Ok(elsewhere(state, caller, None).await?.into_iter().collect()),
        Ok(Some(authority)) => authority,
        Err(error) => {
            return Ok(vec![finding(
                Severity::Problem,
                "authority-unusable",
                "The authority for devices cannot be used",
                format!("{error}."),
                "Put its files back from the backup, or correct pki.folder.",
            )]);
        }
    };
    let renew = "Make or import another one in another pki.folder, and let listeners believe the old one by client_ca until its certificates are replaced.";
    let words = ["authority-", "of the authority for devices", renew, ""];
    let mut all = vec![certificate(&authority.info, words, at)];
    all.extend(elsewhere(state, caller, Some(&authority)).await?);
    let ending = CertificateFilter {
        revoked: Some(false),
        ends_before: Some(at.plus(RENEW_BEFORE)),
        ..CertificateFilter::default()
    };
    let store = &state.store;
    let found = store.certificate_list(&caller.tenant, &ending, None, COUNTED + 1);
    let found = found.await?;
    if !found.is_empty() {
        let count = match found.len() {
            many if many > COUNTED => format!("More than {COUNTED}"),
            few => few.to_string(),
        };
        all.push(finding(
            Severity::Warning,
            "device-certificates-end",
            "Certificates of devices end within 30 days, or have ended",
            format!("{count} of those that are not revoked."),
            "`headend pki list --ends-within 30` names them; `headend pki rotate` gives a device that speaks USP a new one.",
        ));
    }
    Ok(all)
}

/// Certificates that were not issued here are asked for, and nobody has said whose devices they are. How many tenants
/// there are is the platform's business.
async fn elsewhere(
    state: &State,
    caller: &Caller,
    authority: Option<&Authority>,
) -> Result<Option<Finding>> {
    let config = &state.config;
    let listeners = [&config.usp.tls, &config.mqtt.tls, &config.cwmp.tls];
    let mut listeners = listeners.into_iter().flatten();
    let asked = listeners.any(|tls| tls.client_ca.is_some())
        || authority.is_some_and(|authority| !authority.can_issue());
    let several = asked
        && config.pki.tenants.is_none()
        && caller.principal.platform
        && state.store.tenant_list().await?.len() > 1;
    Ok(several.then(|| {
        finding(
            Severity::Warning,
            "certificates-elsewhere",
            "Certificates of devices that were issued elsewhere open nothing",
            "There are several tenants, and nothing in such a certificate says whose device it is.",
            "Name the tenants for whose devices they count in pki.tenants and start again, like [\"acme\"], or \"all\" where the path of the URL says the tenant.",
        )
    }))
}
