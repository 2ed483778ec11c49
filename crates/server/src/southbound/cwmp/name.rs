//! What a CPE is called: for people, and in its certificate.

use ::cwmp::rpc::DeviceId as Cpe;
use fleet::Identity;

/// What a CPE calls itself, for people: `OUI-ProductClass-SerialNumber`.
pub fn of(cpe: &Cpe) -> String {
    let parts = [&cpe.oui, &cpe.product_class, &cpe.serial_number];
    let parts = parts.map(|part| part.trim().chars().take(Identity::PART_CHARS_MAX).collect());
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|part: &String| !part.is_empty())
        .collect();
    parts.join("-")
}

/// What it is known by, the surest name first.
pub fn identities(cpe: &Cpe) -> Vec<Identity> {
    Identity::of_cpe(
        &cpe.manufacturer,
        &cpe.oui,
        &cpe.product_class,
        &cpe.serial_number,
    )
}

/// The endpoint ids that it may have in USP, as TR-369 has them written (2.2.2), the surest first.
pub fn endpoints(cpe: &Cpe) -> Vec<String> {
    let (oui, class, serial) = (&cpe.oui, &cpe.product_class, &cpe.serial_number);
    let oui = oui.trim().to_ascii_uppercase();
    let class = encoded(class.trim()).replace('-', "%2D");
    let serial = encoded(serial.trim());
    match identities(cpe).is_empty() {
        true => Vec::new(),
        false => vec![
            format!("ops::{oui}-{class}-{serial}"),
            format!("os::{oui}-{serial}"),
        ],
    }
}

/// Whether a name in a certificate is that of the CPE: `OUI-SerialNumber`,
/// `OUI-ProductClass-SerialNumber`, percent-encoded where the device found that necessary, or the
/// endpoint id that it has in USP.
pub fn is_of(name: &str, cpe: &Cpe) -> bool {
    let (oui, class, serial) = (&cpe.oui, &cpe.product_class, &cpe.serial_number);
    if oui.is_empty() || serial.is_empty() {
        return false;
    }
    let name = ["os::", "ops::"]
        .iter()
        .find_map(|scheme| name.strip_prefix(scheme))
        .unwrap_or(name);
    let plain = decoded(name);
    let same =
        |wanted: String| plain.eq_ignore_ascii_case(&wanted) || name.eq_ignore_ascii_case(&wanted);
    // With a dash in the serial number the short form may be the long one of another device, unless
    // the dash is encoded.
    let short = class.is_empty() || !serial.contains('-') || name.split('-').count() == 2;
    (short && same(format!("{oui}-{serial}")))
        || (!class.is_empty() && same(format!("{oui}-{class}-{serial}")))
}

fn encoded(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20").replace('*', "%2A")
}

fn decoded(text: &str) -> String {
    // A plus sign is one here.
    let text = text.replace('+', "%2B");
    let pair = format!("x={text}");
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpe_has_these_names_in_usp() {
        let cpe = Cpe {
            oui: "00256d".into(),
            product_class: "Box-1 *".into(),
            serial_number: "S/1-2".into(),
            ..Cpe::default()
        };
        let wanted = ["ops::00256D-Box%2D1%20%2A-S%2F1-2", "os::00256D-S%2F1-2"];
        assert_eq!(endpoints(&cpe), wanted);
        assert!(wanted.iter().all(|id| usp::EndpointId::parse(id).is_ok()));
        assert_eq!(endpoints(&Cpe::default()), [""; 0]);
    }

    #[test]
    fn a_certificate_names_a_device_in_the_forms_of_the_field() {
        let cpe = Cpe {
            oui: "00256d".into(),
            product_class: "Box 1".into(),
            serial_number: "S/1".into(),
            ..Cpe::default()
        };
        for name in [
            "00256D-S/1",
            "00256D-S%2F1",
            "00256D-Box%201-S%2F1",
            "00256d-Box 1-S/1",
            "os::00256D-S%2F1",
            "ops::00256D-Box%201-S%2F1",
        ] {
            assert!(is_of(name, &cpe), "{name}");
        }
        for name in [
            "",
            "S/1",
            "00256D-S/2",
            "00256D-Box-S/1",
            "fqdn::00256D-S/1",
        ] {
            assert!(!is_of(name, &cpe), "{name}");
        }
        assert!(!is_of("-", &Cpe::default()));
        let dashed = Cpe {
            serial_number: "A-1".into(),
            ..cpe
        };
        // Of a device with the class A and the serial number 1.
        assert!(!is_of("00256D-A-1", &dashed));
        assert!(is_of("00256D-A%2D1", &dashed));
        assert!(is_of("00256D-Box 1-A-1", &dashed));
    }
}
