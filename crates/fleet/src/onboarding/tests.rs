//! Who is let in, case by case.

use super::*;
use uuid::Uuid;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn device(n: u128) -> DeviceId {
    DeviceId(Uuid::from_u128(n))
}

fn setup(usable: bool, limited: bool) -> Credential {
    let key = SetupKeyId(Uuid::from_u128(9));
    Credential::SetupKey {
        tenant: tenant(),
        key,
        usable,
        limited,
    }
}

fn token(n: u128, status: TokenStatus) -> Credential {
    Credential::DeviceToken {
        tenant: tenant(),
        device: device(n),
        status,
    }
}

fn known(n: u128, has_own_credential: bool, readmit: bool) -> Option<Known> {
    Some(Known {
        device: device(n),
        has_own_credential,
        expects_own_token: false,
        certificate_required: false,
        readmit,
    })
}

/// Somebody with this credential, and an endpoint id unless told otherwise.
fn comes(credential: &Credential, known: Option<Known>) -> Newcomer<'_> {
    Newcomer {
        credential,
        tenant_disabled: false,
        endpoint: Some("e"),
        certified: false,
        certificate: None,
        known,
        rivals: &[],
    }
}

fn alone(tenant: Option<TenantId>) -> Credential {
    Credential::Certificate { tenant }
}

#[test]
fn a_setup_key_brings_in_a_new_device_that_gets_its_own_token() {
    let key = setup(true, false);
    let a = admit(&comes(&key, None)).unwrap();
    assert_eq!((a.who, a.swap, a.promote), (Who::New, true, false));
    let a = admit(&comes(&key, known(1, false, false))).unwrap();
    assert_eq!(a.who, Who::Known(device(1)));
}

#[test]
fn a_setup_key_does_not_open_a_device_with_its_own_token_until_readmitted() {
    let key = setup(true, false);
    let with = |known| admit(&comes(&key, known));
    assert_eq!(with(known(1, true, false)), Err(Refusal::ReadmitNeeded));
    assert!(with(known(1, true, true)).is_ok());
}

#[test]
fn a_setup_key_does_not_take_a_device_that_was_registered_with_a_token_of_its_own() {
    let mut registered = known(1, false, false).unwrap();
    registered.expects_own_token = true;
    let key = setup(true, false);
    let refused = admit(&comes(&key, Some(registered)));
    assert_eq!(refused, Err(Refusal::TokenExpected));
    let own = token(1, TokenStatus::Pending);
    assert!(admit(&comes(&own, Some(registered))).unwrap().promote);
    registered.readmit = true;
    assert!(admit(&comes(&key, Some(registered))).is_ok());
}

#[test]
fn bad_credentials_are_named() {
    let refuse = |c: &Credential, k| admit(&comes(c, k)).unwrap_err();
    assert_eq!(
        refuse(&Credential::Unknown, None),
        Refusal::UnknownCredential
    );
    assert_eq!(
        refuse(&setup(false, false), None),
        Refusal::SetupKeyUnusable
    );
    assert_eq!(refuse(&setup(true, true), None), Refusal::SetupKeyLimited);
    let key = setup(true, false);
    let nameless = Newcomer {
        endpoint: None,
        ..comes(&key, None)
    };
    assert_eq!(admit(&nameless).unwrap_err(), Refusal::EndpointMissing);
    let current = token(1, TokenStatus::Current);
    assert_eq!(
        refuse(&current, known(2, true, false)),
        Refusal::EndpointMismatch
    );
    assert_eq!(refuse(&current, None), Refusal::EndpointMismatch);
    let old = token(1, TokenStatus::Superseded);
    assert_eq!(
        refuse(&old, known(1, true, false)),
        Refusal::TokenSuperseded
    );
}

#[test]
fn nothing_opens_a_disabled_tenant() {
    let certificate = alone(Some(tenant()));
    let all = [
        setup(true, false),
        token(1, TokenStatus::Current),
        certificate,
        Credential::Dialled {
            tenant: tenant(),
            device: device(1),
        },
    ];
    for credential in &all {
        let newcomer = Newcomer {
            tenant_disabled: true,
            certified: true,
            ..comes(credential, known(1, true, false))
        };
        assert_eq!(admit(&newcomer), Err(Refusal::TenantDisabled));
    }
}

#[test]
fn a_certificate_opens_what_it_names_whatever_is_shown_beside_it() {
    let all = [
        alone(Some(tenant())),
        setup(false, true),
        token(2, TokenStatus::Superseded),
    ];
    for credential in &all {
        let newcomer = Newcomer {
            certified: true,
            ..comes(credential, known(1, true, false))
        };
        let a = admit(&newcomer).unwrap();
        assert_eq!(a.who, Who::Known(device(1)));
        assert_eq!((a.strength, a.swap), (Strength::Certificate, false));
    }
}

#[test]
fn a_certificate_alone_needs_its_tenant_in_the_path_and_a_device_that_is_registered() {
    let (nowhere, there) = (alone(None), alone(Some(tenant())));
    let certified = |credential, known| {
        admit(&Newcomer {
            certified: true,
            ..comes(credential, known)
        })
    };
    let known = known(1, false, false);
    assert_eq!(certified(&nowhere, known), Err(Refusal::TenantMissing));
    assert_eq!(certified(&there, None), Err(Refusal::NotRegistered));
    for known in [known, None] {
        let refused = admit(&comes(&there, known)).unwrap_err();
        assert_eq!(refused, Refusal::EndpointMismatch);
    }
    assert!(certified(&there, known).is_ok());
}

#[test]
fn where_a_certificate_is_required_nothing_else_opens() {
    let mut strict = known(1, true, true).unwrap();
    strict.certificate_required = true;
    for credential in [setup(true, false), token(1, TokenStatus::Current)] {
        let mut newcomer = comes(&credential, Some(strict));
        assert_eq!(admit(&newcomer), Err(Refusal::CertificateRequired));
        newcomer.certified = true;
        assert!(admit(&newcomer).is_ok());
    }
}

#[test]
fn what_was_registered_while_a_newcomer_was_on_its_way_is_asked_again() {
    let mut there = known(1, false, false).unwrap();
    assert_eq!(there.opened_by_setup_key(), Ok(()));
    there.expects_own_token = true;
    assert_eq!(there.opened_by_setup_key(), Err(Refusal::TokenExpected));
    there.certificate_required = true;
    assert_eq!(
        there.opened_by_setup_key(),
        Err(Refusal::CertificateRequired)
    );
}

#[test]
fn a_pending_token_becomes_current_when_it_is_first_seen() {
    let pending = token(1, TokenStatus::Pending);
    assert!(
        admit(&comes(&pending, known(1, false, false)))
            .unwrap()
            .promote
    );
    let current = token(1, TokenStatus::Current);
    assert!(
        !admit(&comes(&current, known(1, true, false)))
            .unwrap()
            .promote
    );
}

#[test]
fn of_two_agents_with_one_endpoint_id_the_better_then_the_newer_wins() {
    let current = token(1, TokenStatus::Current);
    let come = |strength, takeovers| {
        admit(&Newcomer {
            rivals: &[Rival {
                elsewhere: false,
                strength,
                takeovers,
            }],
            ..comes(&current, known(1, true, false))
        })
    };
    assert!(come(Strength::SetupKey, 99).is_ok());
    assert!(come(Strength::DeviceToken, 0).is_ok());
    assert_eq!(
        come(Strength::Certificate, 0).unwrap_err(),
        Refusal::WeakerThanOpenLink
    );
    let often = limits::FLAP_TAKEOVERS_MAX;
    assert_eq!(
        come(Strength::DeviceToken, often).unwrap_err(),
        Refusal::Flapping
    );
}

#[test]
fn over_another_transport_a_device_is_let_in_beside_itself_unless_one_of_the_two_only_knows_a_shared_secret()
 {
    let (key, own) = (setup(true, false), token(1, TokenStatus::Current));
    let come = |credential, strength| {
        let rival = Rival {
            elsewhere: true,
            strength,
            takeovers: limits::FLAP_TAKEOVERS_MAX,
        };
        let stays = |admission: Admission| rival.stays(admission.strength);
        let newcomer = Newcomer {
            rivals: &[rival],
            ..comes(credential, known(1, false, false))
        };
        admit(&newcomer).map(stays)
    };
    // However often: nobody takes anything from anybody.
    assert_eq!(come(&own, Strength::DeviceToken), Ok(true));
    assert_eq!(come(&own, Strength::Certificate), Ok(true));
    assert_eq!(come(&own, Strength::Dialled), Ok(true));
    assert_eq!(come(&key, Strength::SetupKey), Ok(true));
    assert_eq!(come(&own, Strength::SetupKey), Ok(false));
    assert_eq!(
        come(&key, Strength::DeviceToken),
        Err(Refusal::WeakerThanOpenLink)
    );
}

#[test]
fn takeovers_are_forgotten_after_the_window() {
    let mut flaps = Flaps::default();
    let start = Timestamp::from_millis(1_000_000);
    for _ in 0..limits::FLAP_TAKEOVERS_MAX {
        flaps.add(start);
    }
    assert_eq!(flaps.count(start), limits::FLAP_TAKEOVERS_MAX);
    let later = start
        .plus(limits::FLAP_WINDOW)
        .plus(std::time::Duration::from_millis(1));
    assert_eq!(flaps.count(later), 0);
    flaps.add(later);
    assert_eq!(flaps.count(later), 1);
}

#[test]
fn every_refusal_has_a_name_and_an_explanation() {
    for refusal in Refusal::ALL {
        assert!(!refusal.explanation().is_empty());
        assert!(
            (400..500).contains(&refusal.http_status()),
            "{}",
            refusal.as_str()
        );
    }
}

#[test]
fn a_revoked_certificate_opens_nothing_whatever_is_shown_beside_it() {
    let (ours, other) = (tenant(), TenantId::parse("other").unwrap());
    let revoked = Standing {
        tenant: &ours,
        revoked: true,
    };
    for credential in [
        Credential::Unknown,
        setup(true, false),
        token(1, TokenStatus::Current),
        alone(Some(tenant())),
        alone(Some(other)),
    ] {
        let newcomer = Newcomer {
            certified: true,
            certificate: Some(revoked),
            ..comes(&credential, known(1, true, false))
        };
        assert_eq!(admit(&newcomer), Err(Refusal::CertificateRevoked));
    }
}

#[test]
fn a_certificate_of_another_tenant_opens_nothing_here_whatever_is_shown_beside_it() {
    let other = TenantId::parse("other").unwrap();
    for credential in [
        setup(true, false),
        token(1, TokenStatus::Current),
        alone(Some(tenant())),
    ] {
        let mut newcomer = Newcomer {
            certified: true,
            certificate: Some(Standing {
                tenant: &other,
                revoked: false,
            }),
            ..comes(&credential, known(1, false, false))
        };
        let refused = Refusal::CertificateOfAnotherTenant;
        assert_eq!(admit(&newcomer), Err(refused));
        let ours = tenant();
        newcomer.certificate = Some(Standing {
            tenant: &ours,
            revoked: false,
        });
        assert_eq!(admit(&newcomer).unwrap().strength, Strength::Certificate);
    }
}
