//! An identity and a TLS for tests: records, a handshake of three flights, a MAC and signatures, in the smallest form
//! that notices every changed byte. Deliberately not secret: anybody can forge them.

use usp::EndpointId;
use usp::context::{Channel, Fingerprint, Identity, Proof};

/// The largest record of the toy's TLS, by default.
pub const RECORD_BYTES: usize = 16_384;

/// FNV-1a, which notices a changed byte.
fn digest(parts: &[&[u8]]) -> [u8; 8] {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().copied().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.to_be_bytes()
}

/// An endpoint with a key.
pub struct Toy {
    certificate: Vec<u8>,
    record_bytes: usize,
}

impl Toy {
    pub fn new(own: &EndpointId) -> Self {
        let certificate = format!("certificate of {own}").into_bytes();
        let record_bytes = RECORD_BYTES;
        Self {
            certificate,
            record_bytes,
        }
    }

    /// With TLS records of at most so many bytes.
    pub fn with_records(own: &EndpointId, record_bytes: usize) -> Self {
        Self {
            record_bytes,
            ..Self::new(own)
        }
    }
}

impl Identity for Toy {
    fn channel(&self, client: bool, _: &EndpointId) -> Result<Box<dyn Channel>, String> {
        let mut channel = ToyTls {
            client,
            step: 0,
            record_bytes: self.record_bytes,
            out: Vec::new(),
            sent: 0,
            received: 0,
        };
        if client {
            channel.put(0x16, b"client hello");
        }
        Ok(Box::new(channel))
    }

    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    fn sign(&self, covered: &[u8]) -> Result<Vec<u8>, String> {
        Ok(digest(&[b"signed", &self.certificate, covered]).to_vec())
    }

    fn verify(
        &self,
        from: &EndpointId,
        certificate: &[u8],
        covered: &[u8],
        signature: &[u8],
    ) -> Result<Fingerprint, String> {
        if certificate != format!("certificate of {from}").as_bytes() {
            return Err("somebody else's certificate".into());
        }
        match digest(&[b"signed", certificate, covered]) == *signature {
            true => Ok([certificate.len() as u8; 32]),
            false => Err("a wrong signature".into()),
        }
    }
}

struct ToyTls {
    client: bool,
    step: u8,
    record_bytes: usize,
    out: Vec<Vec<u8>>,
    sent: u64,
    received: u64,
}

impl ToyTls {
    fn put(&mut self, kind: u8, body: &[u8]) {
        let seal = digest(&[
            &[kind],
            body,
            &self.sent.to_be_bytes(),
            &[u8::from(self.client)],
        ]);
        self.sent += 1;
        let mut record = vec![kind];
        record.extend((body.len() as u32 + 8).to_be_bytes());
        record.extend(body.iter().map(|byte| byte ^ 0x5a));
        record.extend(seal);
        self.out.push(record);
    }

    fn over(&self) -> bool {
        self.step == if self.client { 1 } else { 2 }
    }

    fn handshake(&mut self, body: &[u8]) -> Result<(), String> {
        match (self.client, self.step, body) {
            (false, 0, b"client hello") => self.put(0x16, b"server hello"),
            (true, 0, b"server hello") => self.put(0x16, b"finished"),
            (false, 1, b"finished") => {}
            _ => return Err("an unexpected handshake".into()),
        }
        self.step += 1;
        Ok(())
    }
}

impl Channel for ToyTls {
    fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut message = Vec::new();
        while let [kind, rest @ ..] = bytes {
            let (len, rest) = rest.split_first_chunk::<4>().ok_or("a short record")?;
            let len = u32::from_be_bytes(*len) as usize;
            let (record, rest) = rest.split_at_checked(len).ok_or("a short record")?;
            let (body, seal) = record.split_last_chunk::<8>().ok_or("a short record")?;
            let body: Vec<u8> = body.iter().map(|byte| byte ^ 0x5a).collect();
            let number = self.received.to_be_bytes();
            if *seal != digest(&[&[*kind], &body, &number, &[u8::from(!self.client)]]) {
                return Err("a broken record".into());
            }
            self.received += 1;
            match kind {
                0x16 => self.handshake(&body)?,
                _ if self.over() => message.extend(body),
                _ => return Err("data before its time".into()),
            }
            bytes = rest;
        }
        Ok(message)
    }

    fn write(&mut self, message: &[u8]) -> Result<(), String> {
        for piece in message.chunks(self.record_bytes) {
            self.put(0x17, piece);
        }
        Ok(())
    }

    fn records(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out)
    }

    fn is_handshaking(&self) -> bool {
        !self.over()
    }

    fn peer(&self) -> Option<Fingerprint> {
        self.over().then_some([u8::from(!self.client); 32])
    }

    fn mac(&self, covered: &[u8]) -> Option<Vec<u8>> {
        let key = [u8::from(self.client)];
        self.over()
            .then(|| digest(&[b"mac", &key, covered]).to_vec())
    }

    fn verify(&self, proof: &Proof) -> Option<bool> {
        let key = [u8::from(!self.client)];
        self.over()
            .then(|| digest(&[b"mac", &key, &proof.covered]) == *proof.mac)
    }
}
