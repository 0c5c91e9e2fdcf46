#!/usr/bin/env python3
"""Writes vectors.tsv: made-up numbers, and whether python-stdnum takes them.

Run by hand, with python-stdnum 2.x (PyPI) installed:

    python3 vectors.py > vectors.tsv

Each line has a recogniser's entity, a number in its compact form, and 1 or 0.
Numbers are random under a fixed seed; valid ones are found by trying check
characters, so that none of them was taken from anywhere.
"""
import random
from importlib import import_module

random.seed(20260101)
D = "0123456789"
A = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Entity, module of stdnum, shape (9 digit, A letter, other characters as they
# are), and for dates the place and form.
KINDS = [
    ("US_EIN", "us.ein", "999999999", None), ("US_ITIN", "us.itin", "999999999", None),
    ("ABA_ROUTING_NUMBER", "us.rtn", "021999999", None), ("US_SSN", "us.ssn", "999999999", None),
    ("UK_NHS", "gb.nhs", "9999999999", None), ("UK_UTR", "gb.utr", "9999999999", None),
    ("IE_PPSN", "ie.pps", "9999999A", None),
    ("IN_AADHAAR", "in_.aadhaar", "999999999999", None), ("IN_PAN", "in_.pan", "AAAPA9999A", None),
    ("IN_VOTER", "in_.epic", "AAA9999999", None), ("IN_GSTIN", "in_.gstin", "27AAAPA9999A1ZX", None),
    ("BR_CPF", "br.cpf", "99999999999", None), ("BR_CNPJ", "br.cnpj", "99999999000199", None),
    ("CA_SIN", "ca.sin", "999999999", None), ("AR_CUIT", "ar.cuit", "20999999999", None),
    ("CL_RUT", "cl.rut", "99999999X", None), ("MX_CURP", "mx.curp", "AAAA999999HDFBBB09", (4, "ymd")),
    ("MX_RFC", "mx.rfc", "BACA999999AA9", (4, "ymd")),
    ("DE_TAX_ID", "de.idnr", "99999999999", None), ("FR_NIR", "fr.nir", "199039999999999", None),
    ("ES_NIF", "es.dni", "99999999A", None), ("ES_NIE", "es.nie", "X9999999A", None), ("ES_CIF", "es.cif", "B99999999", None),
    ("IT_VAT_CODE", "it.iva", "99999999999", None), ("NL_BSN", "nl.bsn", "999999999", None),
    ("BE_NN", "be.nn", "99999999999", (0, "ymd")), ("PL_PESEL", "pl.pesel", "99999999999", (0, "ymd")),
    ("PL_NIP", "pl.nip", "9999999999", None), ("PT_NIF", "pt.nif", "999999999", None),
    ("SE_PERSONNUMMER", "se.personnummer", "999999-9999", (0, "ymd")), ("FI_PERSONAL_IDENTITY_CODE", "fi.hetu", "999999-999A", (0, "dmy")),
    ("NO_FODSELSNUMMER", "no.fodselsnummer", "99999999999", (0, "dmy")), ("CH_AHV", "ch.ssn", "7569999999999", None),
    ("AT_SVNR", "at.vnr", "9999999999", (4, "dmy")), ("CZ_BIRTH_NUMBER", "cz.rc", "9999999999", (0, "ymd")),
    ("RO_CNP", "ro.cnp", "1999999019999", (1, "ymd")), ("BG_EGN", "bg.egn", "9999999999", (0, "ymd")),
    ("HR_OIB", "hr.oib", "99999999999", None), ("GR_AMKA", "gr.amka", "99999999999", (0, "dmy")),
    ("AU_TFN", "au.tfn", "999999999", None), ("AU_ABN", "au.abn", "99999999999", None), ("AU_ACN", "au.acn", "999999999", None),
    ("NZ_IRD", "nz.ird", "099999999", None), ("CN_RESIDENT_ID", "cn.ric", "11010599999999999X", (6, "cymd")),
    ("KR_RRN", "kr.rrn", "9999991999999", (0, "ymd")), ("MY_MYKAD", "my.nric", "999999999999", (0, "ymd")),
    ("TH_TNIN", "th.pin", "9999999999999", None), ("TR_TCKN", "tr.tckimlik", "99999999999", None),
    ("IL_ID", "il.idnr", "999999999", None), ("ZA_ID", "za.idnr", "9999999999089", (0, "ymd")),
    ("IMEI", "imei", "359999999999999", None), ("IT_FISCAL_CODE", "it.codicefiscale", "BNCBNC99A99A999A", None),
]


def fill(shape):
    return "".join(random.choice(D) if c == "9" else random.choice(A) if c == "A" else c for c in shape)


def with_date(n, where):
    at, form = where
    y, m, d = "%02d" % random.randint(0, 99), "%02d" % random.randint(1, 12), "%02d" % random.randint(1, 28)
    if form == "cymd":
        return n[:at] + "19" + y + m + d + n[at + 8:]
    return n[:at] + (y + m + d if form == "ymd" else d + m + y) + n[at + 6:]


for entity, name, shape, where in KINDS:
    valid = import_module("stdnum." + name).is_valid
    if entity == "MX_RFC":
        valid = lambda n, check=valid: check(n, validate_check_digits=True)  # noqa: E731
    good, bad, seen = 0, 0, set()
    for _ in range(400000):
        n = fill(shape)
        if where:
            n = with_date(n, where)
        if n in seen:
            continue
        seen.add(n)
        # Try the last characters, so that valid ones are found at once.
        options = [n]
        if good < 25:
            last = (A if n[-1] in A and n[-1] != "X" else D + ("XK" if n[-1] == "X" else "")) if not n.endswith("X") else D + A
            options += [n[:-1] + c for c in last]
            if n[-2:].isdigit():
                options += [n[:-2] + "%02d" % k for k in range(100)]
        for o in options:
            ok = valid(o)
            compact = o.replace("-", "")
            if ok and good < 25:
                print(entity, compact, 1, sep="\t")
                good += 1
                break
            if not ok and bad < 25 and o == n:
                print(entity, compact, 0, sep="\t")
                bad += 1
        if good >= 25 and bad >= 25:
            break
