import { Sequelize } from "sequelize";

/** The Sequelize instance for the domain tables. Its pool is its own: a slow list can never starve the ledger's connections. */
export function createSequelize(options: { url: string; max: number }): Sequelize {
  return new Sequelize(options.url, {
    dialect: "postgres",
    logging: false,
    pool: { max: options.max, min: 0, acquire: 5_000, idle: 30_000 },
    define: { underscored: true, freezeTableName: true },
    dialectOptions: { keepAlive: true, connectionTimeoutMillis: 3_000 },
  });
}
