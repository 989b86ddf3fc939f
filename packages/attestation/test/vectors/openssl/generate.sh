#!/bin/sh
# Keys and signatures by OpenSSL, for tests: sh generate.sh (OpenSSL 3). The passphrase is "correct horse".
set -eu
cd "$(dirname "$0")"
for curve in prime256v1 secp384r1 secp521r1; do
  openssl ecparam -name $curve -genkey -noout -out $curve.sec1.pem
  openssl pkcs8 -topk8 -nocrypt -in $curve.sec1.pem -out $curve.pkcs8.pem
  openssl pkcs8 -topk8 -v2 aes256 -v2prf hmacWithSHA256 -iter 2000 -passout "pass:correct horse" -in $curve.sec1.pem -out $curve.encrypted.pem
  openssl pkey -in $curve.sec1.pem -pubout -out $curve.public.pem
  printf hello > message
  case $curve in prime256v1) hash=sha256 ;; secp384r1) hash=sha384 ;; *) hash=sha512 ;; esac
  openssl dgst -$hash -sign $curve.sec1.pem -out $curve.signature message
done
openssl pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA512 -iter 2000 -passout "pass:correct horse" -in prime256v1.sec1.pem -out aes128-sha512.encrypted.pem
openssl pkcs8 -topk8 -v2 aes-256-cbc -scrypt -passout "pass:correct horse" -in prime256v1.sec1.pem -out scrypt.encrypted.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
openssl pkey -in rsa.pem -pubout -out rsa.public.pem
openssl ecparam -name secp256k1 -genkey -noout | openssl pkey -pubout -out secp256k1.public.pem
openssl ec -in prime256v1.sec1.pem -pubout -conv_form compressed -out compressed.public.pem 2>/dev/null
openssl genpkey -algorithm ed25519 -out ed25519.pem
openssl pkey -in ed25519.pem -pubout -out ed25519.public.pem
rm message rsa.pem
openssl version > version.txt
