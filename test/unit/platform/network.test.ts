import { expect } from "chai";
import { networkOf } from "../../../src/platform/network.ts";

describe("whose calls count together", () => {
  for (const [ip, network] of [
    ["1.2.3.4", "1.2.3.4"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["1.2.3.4:5678", "1.2.3.4"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::9", "2001:db8:1:2::/64"],
    ["[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8::", "2001:db8:0:0::/64"],
    ["64:ff9b::1.2.3.4", "64:ff9b:0:0::/64"],
    ["", ""],
    ["unknown", "unknown"],
  ] as const) {
    it(`${ip === "" ? "no address" : ip} belongs to ${network === "" ? "no network" : network}`, () =>
      expect(networkOf(ip)).to.equal(network));
  }
});
