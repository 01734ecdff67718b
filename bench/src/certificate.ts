// A key of this benchmark's own, which opens nothing, and its certificate: self-signed, for localhost and 127.0.0.1, valid until 2120.

export const key: Buffer = Buffer.from(`-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg92iuxCs7qSW2hWau
xGNvVzMW9DEkM4GIUi+Tc5g3a0ahRANCAARmxqpUyHWw41EgMv0Xtj0apdDi3AXt
pCiQHgTg9lThAPWGTbL43JxXWkVInz0Ja5Coj+u9OrnFoaCG2IucNdi2
-----END PRIVATE KEY-----
`)

export const certificate: Buffer = Buffer.from(`-----BEGIN CERTIFICATE-----
MIIBXzCCAQWgAwIBAgIBATAKBggqhkjOPQQDAjAQMQ4wDAYDVQQDDAViZW5jaDAg
Fw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowEDEOMAwGA1UEAwwFYmVu
Y2gwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARmxqpUyHWw41EgMv0Xtj0apdDi
3AXtpCiQHgTg9lThAPWGTbL43JxXWkVInz0Ja5Coj+u9OrnFoaCG2IucNdi2o04w
TDAPBgNVHRMBAf8EBTADAQH/MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAd
BgNVHQ4EFgQU8jaB6lTndKlGg/BsIzsl1tEQO/MwCgYIKoZIzj0EAwIDSAAwRQIg
E+mlbU1pfdsti+grRsAglMnRW0UMn5SPm56sNEQLvToCIQDepKpHr5PRQSW6cozW
gpGnXsXvZB1G9lLZqoa2zabE/w==
-----END CERTIFICATE-----
`)
