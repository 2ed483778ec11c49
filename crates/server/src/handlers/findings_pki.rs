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
        Ok(None) => return Ok(Vec::new()),
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
