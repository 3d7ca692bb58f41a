import { describe, expect, it } from 'vitest'
import { networkOf } from '../../src/registry/network'

describe('what an address is counted by', () => {
  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:db8:1:2::1', '2001:0db8:0001:0002:0000:0000:0000:0001'],
    ['2001:db8:1:2::1', '2001:DB8:1:2::ABCD'],
    ['2001:db8:1:2::1', '2001:db8:1:2::192.0.2.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2::1%eth0'],
    ['2001:db8::1', '2001:db8:0:0:8::'],
    ['2001:db8::1', '2001:db8::8:0:0:0'],
    ['2001:0:0:1::', '2001::1:0:0:0:5'],
    ['::1', '::2'],
    ['fd00::1', 'FD00:0::2%lan'],
  ])('[C4] %s is in the same /64 as %s', (one, other) => {
    expect(networkOf(one)).toBe(networkOf(other))
  })

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['2001:db8:1:2::1', '2001:db8:1::2:0:0:1'],
    ['2001:db8::', '2001:db8:0:1::'],
    ['2001:db8::1', 'fd00:db8::1'],
    ['192.0.2.1', '192.0.2.2'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.2'],
    // A translator puts all of IPv4 into one /64.
    ['64:ff9b::192.0.2.1', '64:ff9b::192.0.2.2'],
    // On one cable all are in fe80::/64, and on another one it is another host that has the same address.
    ['fe80::1%eth0', 'fe80::2%eth0'],
    ['fe80::1%eth0', 'fe80::1%eth1'],
    ['febf::1', 'febf::2'],
  ])('[C4] %s and %s are counted apart', (one, other) => {
    expect(networkOf(one)).not.toBe(networkOf(other))
  })

  it.each([
    '::ffff:192.0.2.1',
    '::FFFF:192.0.2.1',
    '::ffff:c000:201',
    '0:0:0:0:0:ffff:192.0.2.1',
    '0000:0000:0000:0000:0000:ffff:c000:0201',
    '::ffff:192.0.2.1%eth0',
    '64:ff9b::192.0.2.1',
    '0064:FF9B:0:0:0:0:c000:201',
  ])('[C4] %s is the address of IPv4 that it carries', (mapped) => {
    expect(networkOf(mapped)).toBe('192.0.2.1')
  })

  it('[C4] FE80::1 is the same host however it is written', () => {
    expect(networkOf('FE80:0:0:0::1%Eth0')).toBe(networkOf('fe80::1%eth0'))
  })

  it.each([
    '192.0.2.1',
    'unknown',
    '',
    'user:42',
    '192.0.2.1:4711',
    '[2001:db8::1]:4711',
    ':::',
    '1::2::3',
    '2001:db8:1:2:3:4:5',
    '2001:db8:1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7::8',
    '2001:db8::12345',
    '2001:db8::g',
    '::ffff:192.0.2.256',
    '::192.0.2.1:1',
    '2001:db8:::1',
  ])('[C4] %j is none of IPv6, and counted as it is', (text) => {
    expect(networkOf(text)).toBe(text)
  })
})
