# Makes an authority and a certificate of localhost and 127.0.0.1 that it signs, for the tests of TLS.
import datetime
import ipaddress
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder = sys.argv[1]


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def write(file, data):
    with open(os.open(os.path.join(folder, file), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
        out.write(data)


now = datetime.datetime.now(datetime.timezone.utc)


def certificate(subject, issuer, key, signer, extensions):
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
write(
    "authority.pem",
    certificate("test authority", "test authority", authority, authority, [(x509.BasicConstraints(True, 0), True)]),
)
write(
    "server.pem",
    certificate(
        "localhost",
        "test authority",
        server,
        authority,
        [(x509.BasicConstraints(False, None), True), (x509.SubjectAlternativeName(names), False)],
    ),
)
write(
    "server.key",
    server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ),
)
