//! The built-in tables, whole and damaged.

use super::*;

#[test]
fn the_built_in_models_are_there() {
    assert_eq!(Schema::tr181().len(), 822);
    assert_eq!(Schema::tr181().name(), "Device:2.19");
    assert_eq!(Schema::tr181_cwmp().len(), 873);
    assert_eq!(Schema::tr098().len(), 192);
}

#[test]
fn a_model_can_be_taken_apart_and_put_together_again() {
    for schema in [Schema::tr181(), Schema::tr181_cwmp(), Schema::tr098()] {
        let root = schema.roots().next().unwrap().path.clone();
        assert_eq!(&schema.subset(&[root]).unwrap(), schema);
    }
}

#[test]
fn damaged_tables_name_the_line() {
    for (text, line) in [
        ("", 0),
        ("m\tX\nq\tx", 2),
        ("m\tX\np\tA\t\t0\t\t", 2),
        ("o\tD.\t\t\t\np\tA\t\t0\t\t", 2),
        ("t\tstring\t\no\tD.\t\t\t\np\tA\tsometimes\t0\t\t", 3),
        ("t\tstring\tshape=round", 1),
        ("t\tmatrix\t", 1),
        ("o\tD.\t\t\tcolour=red", 1),
        ("o\tD.\t\t\t\nc\tA()\tlater\t\t", 2),
        ("o\tD.\t\t\t\ni\tA\t0\t\t", 2),
        ("o\tD.", 1),
    ] {
        assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
    }
}

#[test]
fn a_table_does_not_inflate_without_end() {
    use flate2::{Compression, write::DeflateEncoder};
    use std::io::Write;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(&vec![b'x'; limits::TABLE_BYTES_MAX + 1])
        .unwrap();
    assert_eq!(
        inflate(&encoder.finish().unwrap()).len(),
        limits::TABLE_BYTES_MAX
    );
    assert_eq!(inflate(b"not deflated at all"), "");
}

#[test]
fn a_model_has_a_most_number_of_objects() {
    let mut text = String::new();
    for n in 0..=limits::SCHEMA_OBJECTS_MAX {
        text.push_str(&format!("o\tD.A{n}.\t\t\t\n"));
    }
    assert_eq!(parse(text.leak()).unwrap_err().line, 0);
}
